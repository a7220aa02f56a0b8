"""Command line of an invocation, for reports."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource


def command_line(context: click.Context) -> str:
    """Quote the command as it was called, including options from files and the environment.

    Parameters
    ----------
    context : click.Context
        Context of the command.

    Returns
    -------
    str
        Only options that differ from their defaults, in the order of ``--help``.
    """
    words = ["pisnn-deploy", str(context.info_name)]
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if context.get_parameter_source(name) is ParameterSource.DEFAULT or value is None:
            continue
        if isinstance(parameter, click.Option):
            words.append(max(parameter.opts, key=len))
            if parameter.is_flag:
                continue
        words.append(str(value))
    return shlex.join(words)
