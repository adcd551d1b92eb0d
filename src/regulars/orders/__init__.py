"""Orders, refunds, products, and the purchase metrics that follow from them."""
