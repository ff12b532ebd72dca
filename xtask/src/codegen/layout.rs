//! What can be computed of a struct from the schema alone: its smallest size, whether it borrows.

use anyhow::Result;

use super::schema::{Field, Message, Struct, Type, Versions};

/// The fewest bytes a value of `ty` takes in `version`.
fn smallest_of(message: &Message, ty: &Type, nullable: bool, version: i16) -> Result<usize> {
    let flexible = message.flexible.has(version);
    Ok(match ty {
        Type::Bool | Type::I8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I32 | Type::U32 => 4,
        Type::I64 | Type::F64 => 8,
        Type::Uuid => 16,
        Type::Str => 2 - usize::from(flexible),
        Type::Bytes | Type::Records | Type::Array(_) => {
            if flexible {
                1
            } else {
                4
            }
        }
        Type::Struct(_) if nullable => 1,
        Type::Struct(name) => smallest_in(message, message.find(name)?, version)?,
    })
}

fn smallest_in(message: &Message, of: &Struct, version: i16) -> Result<usize> {
    let mut sum = usize::from(message.flexible.has(version));
    for field in of.fields.iter().filter(|f| f.versions.has(version) && !f.tagged.has(version)) {
        sum += smallest_of(message, &field.ty, field.nullable.has(version), version)?;
    }
    Ok(sum)
}

/// The fewest bytes that `of` takes in any version in which some field holds it.
pub fn smallest(message: &Message, of: &Struct) -> Result<usize> {
    let holders = message
        .structs
        .iter()
        .flat_map(|s| &s.fields)
        .chain(&message.fields)
        .filter(|f| holds(&f.ty, &of.name))
        .map(|f| f.versions)
        .collect::<Vec<Versions>>();
    let mut least = usize::MAX;
    for version in message.versions.min..=message.versions.max {
        if holders.iter().any(|v| v.has(version)) {
            least = least.min(smallest_in(message, of, version)?);
        }
    }
    Ok(if least == usize::MAX { 1 } else { least.max(1) })
}

/// The bytes of `of`, where they are as many in every value and version.
pub fn fixed(message: &Message, of: &Struct) -> Result<Option<usize>> {
    let variable = |f: &Field| {
        matches!(f.ty, Type::Str | Type::Bytes | Type::Records | Type::Array(_) | Type::Struct(_))
            || !f.versions.covers(message.versions)
    };
    if message.flexible.min <= message.versions.max || of.fields.iter().any(variable) {
        return Ok(None);
    }
    smallest_in(message, of, message.versions.min).map(Some)
}

fn holds(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Struct(held) => held == name,
        Type::Array(element) => holds(element, name),
        _ => false,
    }
}

/// Whether a view of the type has to borrow from the bytes it was read from.
pub fn borrows(message: &Message, ty: &Type) -> Result<bool> {
    Ok(match ty {
        Type::Str | Type::Bytes | Type::Records | Type::Array(_) => true,
        Type::Struct(name) => {
            let fields = &message.find(name)?.fields;
            fields.iter().map(|f| borrows(message, &f.ty)).collect::<Result<Vec<_>>>()?.contains(&true)
        }
        _ => false,
    })
}
