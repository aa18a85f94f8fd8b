"""Translation: splits texts into segments, runs them through models, and checks and assembles the translations."""
