//! The answers of [`PublicKey::verify`] are those of `verify_strict`, also where Ed25519 libraries differ.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::VerifyingKey;

use super::*;

const MESSAGE: &[u8] = b"as agreed";

/// Both answers, which must be equal.
fn verdict(key: [u8; 32], signature: [u8; 64]) -> bool {
    let ours = PublicKey(key)
        .verify(MESSAGE, &Signature(signature))
        .is_ok();
    let strict = VerifyingKey::from_bytes(&key).is_ok_and(|key| {
        key.verify_strict(MESSAGE, &ed25519_dalek::Signature::from_bytes(&signature))
            .is_ok()
    });
    let prepared = PublicKey(key)
        .prepared()
        .is_some_and(|key| key.verify(MESSAGE, &Signature(signature)).is_ok());
    assert_eq!(prepared, strict, "prepared key {}", hex::encode(key));
    assert_eq!(
        ours,
        strict,
        "key {} signature {}",
        hex::encode(key),
        hex::encode(signature)
    );
    ours
}

fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut all = [0; 64];
    all[..32].copy_from_slice(&r);
    all[32..].copy_from_slice(&s);
    all
}

#[test]
fn an_honest_signature_passes_and_each_flipped_bit_fails() {
    let secret = SecretKey::from_seed(&[7; 32]);
    let (key, signature) = (secret.public().0, secret.sign(MESSAGE).0);
    assert!(verdict(key, signature));
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!verdict(key, flipped), "bit {bit}");
    }
    for bit in 0..256 {
        let mut flipped = key;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!verdict(flipped, signature), "bit {bit} of the key");
    }
}

/// With a key of small order, R = sB − kA is of small order or hits sB for some messages: signatures
/// without any secret. With R of small order and an honest key there is one the key's owner can make.
#[test]
fn small_order_points_are_refused() {
    for torsion in EIGHT_TORSION {
        let bytes = torsion.compress().to_bytes();
        for r in EIGHT_TORSION {
            assert!(!verdict(bytes, joined(r.compress().to_bytes(), [0; 32])));
        }
        let s = Scalar::from(9_u64);
        let r = (ED25519_BASEPOINT_POINT * s).compress().to_bytes();
        assert!(!verdict(bytes, joined(r, s.to_bytes())));

        let secret = SecretKey::from_seed(&[9; 32]);
        assert!(!verdict(
            secret.public().0,
            joined(
                bytes,
                secret.sign(MESSAGE).0[32..].try_into().expect("half")
            )
        ));
    }
}

/// y coordinates at or above p = 2^255 − 19, and the sign bit on x = 0.
#[test]
fn other_encodings_of_a_point_are_refused() {
    let honest = SecretKey::from_seed(&[3; 32]);
    for low in 0xed..=0xff_u8 {
        for top in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = top;
            assert!(!verdict(honest.public().0, joined(bytes, [0; 32])));
            assert!(!verdict(
                bytes,
                joined(EIGHT_TORSION[0].compress().to_bytes(), [0; 32])
            ));
        }
    }
    let mut negative_zero = EIGHT_TORSION[0].compress().to_bytes();
    negative_zero[31] |= 0x80;
    assert!(!verdict(negative_zero, joined(negative_zero, [0; 32])));
}

/// s + ℓ signs the same message unless s is bounded.
#[test]
fn a_malleable_scalar_is_refused() {
    let secret = SecretKey::from_seed(&[5; 32]);
    let signature = secret.sign(MESSAGE).0;
    let order: [u8; 32] =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
            .expect("hexadecimal")
            .try_into()
            .expect("32 bytes");
    let mut sum = signature;
    let mut carry = 0_u16;
    for (byte, add) in sum[32..].iter_mut().zip(order) {
        let total = u16::from(*byte) + u16::from(add) + carry;
        *byte = (total & 0xff) as u8;
        carry = total >> 8;
    }
    assert!(verdict(secret.public().0, signature));
    assert!(!verdict(secret.public().0, sum));
}
