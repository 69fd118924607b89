-- How many deliveries were given up is asked at every scrape.

CREATE INDEX delivery_given_up ON delivery (destination) WHERE state = 'given_up';
