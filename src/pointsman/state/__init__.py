"""What several processes share: in-flight counts, health, load reports, counters, the configuration's generation."""
