"""From a trial's file to one that takes what users have and says what they asked for."""
