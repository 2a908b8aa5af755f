//! The wire format of Protocol Buffers: fields of a message, read in place.
//!
//! A reader that builds the whole tree of messages takes many times the size of a file that was
//! made to be hostile, since an empty message of two bytes becomes a struct of hundreds. Here
//! nothing is allocated, and who reads decides how much it keeps.

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number of one to ten bytes.
    Varint(u64),
    /// A number of four bytes.
    Fixed32([u8; 4]),
    /// A number of eight bytes; no field that is read here is one.
    Fixed64,
    /// A string, a message, or numbers one after the other.
    Bytes(&'a [u8]),
}

const DAMAGED: &str = "the file is damaged: it is not a Protocol Buffers message";

impl<'a> Value<'a> {
    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(DAMAGED.into()),
        }
    }

    pub fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DAMAGED.into())
    }

    /// A signed number; Protocol Buffers store its two's complement.
    pub fn integer(self) -> Result<i64, String> {
        match self {
            Value::Varint(value) => Ok(value as i64),
            _ => Err(DAMAGED.into()),
        }
    }

    /// The number of a type, of which other readers keep 32 bits.
    pub fn kind(self) -> Result<i64, String> {
        Ok(i64::from(self.integer()? as i32))
    }

    pub fn float(self) -> Result<f32, String> {
        match self {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(DAMAGED.into()),
        }
    }

    /// The numbers of a repeated field, which may be packed or come one by one.
    pub fn integers(self, into: &mut Vec<i64>, limit: usize) -> Result<(), String> {
        self.each_integer(|value| {
            if into.len() == limit {
                return Err(format!("a list of more than {limit} numbers"));
            }
            into.push(value);
            Ok(())
        })
    }

    /// The same, one after the other.
    pub fn each_integer(
        self,
        mut take: impl FnMut(i64) -> Result<(), String>,
    ) -> Result<(), String> {
        match self {
            Value::Varint(value) => take(value as i64),
            Value::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    take(varint(&mut bytes).ok_or(DAMAGED)? as i64)?;
                }
                Ok(())
            }
            _ => Err(DAMAGED.into()),
        }
    }
}

/// The fields of a message with their numbers, in the order of the file.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Fields(message)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        // Other readers keep the lower 32 bits of a key, and would see a field where this one sees none.
        let key = u32::try_from(varint(&mut self.0)?).ok()?;
        if key >> 3 == 0 {
            return None;
        }
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => {
                self.0.split_off(..8)?;
                Value::Fixed64
            }
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Value::Bytes(self.0.split_off(..length)?)
            }
            5 => Value::Fixed32(self.0.split_off(..4)?.try_into().ok()?),
            _ => return None,
        };
        Some((u64::from(key >> 3), value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // Where one field is damaged, nothing is known of what follows.
            self.0 = &[];
        }
        Some(field.ok_or_else(|| DAMAGED.into()))
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
        Fields::new(message).collect()
    }

    #[test]
    fn fields_of_every_kind() {
        let message = [
            0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 1, 2, 3, 4, 5,
            6, 7, 8,
        ];
        let fields = fields(&message).unwrap();
        assert_eq!(fields[0], (1, Value::Varint(150)));
        assert_eq!(fields[1].1.text().unwrap(), "hi");
        assert_eq!(fields[2].1.float().unwrap(), 1.0);
        assert_eq!(fields[3], (4, Value::Fixed64));
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn numbers_are_packed_or_not() {
        let mut numbers = Vec::new();
        Value::Varint(u64::MAX).integers(&mut numbers, 3).unwrap();
        Value::Bytes(&[1, 0x80, 1])
            .integers(&mut numbers, 3)
            .unwrap();
        assert_eq!(numbers, [-1, 1, 128]);
        assert!(Value::Varint(0).integers(&mut numbers, 3).is_err());
        assert!(Value::Bytes(&[0x80]).integers(&mut numbers, 9).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        for message in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 5, 1],
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &[0x1d, 0, 0],
            &[0x21, 0],
            &[0x0b],
            &[0x00, 1],
            // Field 1 with a bit above 32.
            &[0x88, 0x80, 0x80, 0x80, 0x10, 1],
            &[0xff; 11],
        ] {
            assert!(fields(message).is_err(), "{message:?}");
        }
        assert!(Value::Varint(1).bytes().is_err());
        assert!(Value::Bytes(&[0xff]).text().is_err());
    }
}
