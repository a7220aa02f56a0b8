"""What every part stands on and that knows no physics: errors, integer arithmetic, files, limits of the process."""
