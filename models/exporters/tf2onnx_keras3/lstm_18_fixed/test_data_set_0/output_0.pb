B
Identity:0J£Õ™>Esž>PÛ&=