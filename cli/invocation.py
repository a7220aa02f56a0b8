"""What a user asked for, as a report notes it."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource


def command_line(context: click.Context) -> str:
    """The command as it was called, for a shell; options from files and the environment are spelled out.

    Parameters
    ----------
    context : click.Context
        Of the command.

    Returns
    -------
    str
        Without what was left at its default; options in the order of ``--help``.
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
