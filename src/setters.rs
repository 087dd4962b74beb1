//! How a public type with private fields is set: one method a field, each of which takes the value and hands it
//! back changed, so that a field can be added and no program breaks.

/// Generates a setter for each field: `name: parameter type => value stored`.
macro_rules! setters {
    ($type:ty { $($(#[$doc:meta])* $field:ident: $parameter:ty $(=> $value:expr)?;)* }) => {
        impl $type {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $parameter) -> Self {
                self.$field = setters!(@ $field $($value)?);
                self
            })*
        }
    };
    (@ $field:ident $value:expr) => { $value };
    (@ $field:ident) => { $field };
}

pub(crate) use setters;
