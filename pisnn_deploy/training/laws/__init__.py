"""Train the fluxes of any law: starts, exact fluxes, Gauss-Newton steps on rollouts, and rounding."""
