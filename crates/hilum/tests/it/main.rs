//! The whole product, as its users and its engineers meet it.

mod architecture;
