"""What all other rooms use: frames, regions, boxes, events, results, number formats and options."""
