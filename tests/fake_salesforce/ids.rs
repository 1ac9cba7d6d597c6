//! Record ids: fifteen characters that tell cases apart, and eighteen with their checksum.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id with this three-letter prefix and number, with its checksum.
pub fn id(prefix: &str, number: u64) -> String {
    let mut digits = [b'0'; 10];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    long(&format!("{prefix}5e{}", String::from_utf8_lossy(&digits)))
}

/// An id with its checksum, from either form.
pub fn long(id: &str) -> String {
    let Some(short) = id.get(..15) else {
        return id.to_owned();
    };
    let check = short.as_bytes().chunks(5).map(|part| {
        let capital =
            |(place, letter): (usize, &u8)| usize::from(letter.is_ascii_uppercase()) << place;
        BASE32[part.iter().enumerate().map(capital).sum::<usize>()] as char
    });
    short.chars().chain(check).collect()
}

/// Whether the text has the form of an id, and its checksum, if there is one, is right.
pub fn is_id(text: &str) -> bool {
    let form = text.bytes().all(|letter| letter.is_ascii_alphanumeric());
    form && (text.len() == 15 || (text.len() == 18 && long(text) == text))
}

/// Whether both texts name the same record.
pub fn same(one: &str, other: &str) -> bool {
    one.len() >= 15 && one.get(..15) == other.get(..15)
}
