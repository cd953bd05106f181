//! Tree paths taken apart, changed and put together again.

use stele_core::codec::{Encode, Reader, put_bytes, put_list, put_option};
use stele_core::tree::{AbsenceProof, PresenceProof, RangeProof};
use stele_core::{Decode, DecodeError, Hash};

/// A tree path taken apart.
#[derive(Clone)]
pub struct Level {
    pub before: u16,
    pub after: u16,
    pub name: Vec<u8>,
    pub hashes: Vec<Hash>,
}

#[derive(Clone)]
pub struct Shown {
    pub key: Vec<u8>,
    pub hash: Hash,
}

impl Encode for Level {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before.to_be_bytes());
        out.extend_from_slice(&self.after.to_be_bytes());
        put_bytes(out, &self.name);
        put_list(out, &self.hashes);
    }
}

impl Decode for Level {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            before: reader.u16()?,
            after: reader.u16()?,
            name: reader.bytes("name", 1_000)?.to_vec(),
            hashes: reader.list("hashes", 1_000)?,
        })
    }
}

impl Encode for Shown {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        self.hash.encode(out);
    }
}

impl Decode for Shown {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: reader.bytes("key", 1_000)?.to_vec(),
            hash: Hash::decode(reader)?,
        })
    }
}

/// Changes the levels of a presence proof.
pub fn presence(proof: &PresenceProof, edit: impl FnOnce(&mut Vec<Level>)) -> PresenceProof {
    let bytes = proof.encode_to_vec();
    let mut reader = Reader::new(&bytes);
    let mut out = vec![reader.u8().unwrap()];
    let mut levels = reader.list("levels", 100).unwrap();
    edit(&mut levels);
    put_list(&mut out, &levels);
    PresenceProof::decode_all(&out).unwrap()
}

pub type Parts = (Option<Shown>, Vec<Shown>, Option<Shown>, Vec<Level>);

/// Changes a range proof.
pub fn range(proof: &RangeProof, edit: impl FnOnce(&mut Parts)) -> RangeProof {
    let bytes = proof.encode_to_vec();
    let mut reader = Reader::new(&bytes);
    let mut out = vec![reader.u8().unwrap()];
    let mut parts: Parts = (
        reader.option().unwrap(),
        reader.list("rows", 100_000).unwrap(),
        reader.option().unwrap(),
        reader.list("levels", 100).unwrap(),
    );
    edit(&mut parts);
    put_option(&mut out, parts.0.as_ref());
    put_list(&mut out, &parts.1);
    put_option(&mut out, parts.2.as_ref());
    put_list(&mut out, &parts.3);
    RangeProof::decode_all(&out).unwrap()
}

pub fn absence_of(proof: &RangeProof) -> AbsenceProof {
    let bytes = proof.encode_to_vec();
    let mut out = Vec::new();
    let mut reader = Reader::new(&bytes);
    out.push(reader.u8().unwrap());
    let before: Option<Shown> = reader.option().unwrap();
    let rows: Vec<Shown> = reader.list("rows", 10).unwrap();
    assert!(rows.is_empty());
    put_option(&mut out, before.as_ref());
    out.extend_from_slice(&bytes[reader.offset()..]);
    AbsenceProof::decode_all(&out).unwrap()
}

pub fn range_of(absence: &[u8]) -> RangeProof {
    let mut reader = Reader::new(absence);
    let mut out = vec![reader.u8().unwrap()];
    put_option(&mut out, reader.option::<Shown>().unwrap().as_ref());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&absence[reader.offset()..]);
    RangeProof::decode_all(&out).unwrap()
}
