B
Identity:0JYNô=Ì©>Sw>ˆ]U>aÔD>