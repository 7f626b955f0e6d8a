B
Identity:0Jû½!˜½–Y»>