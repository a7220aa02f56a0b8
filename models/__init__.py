"""The zoo: trained models with their recipes."""
