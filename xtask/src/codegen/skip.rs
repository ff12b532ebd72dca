//! Writes how a struct is passed over: its fixed fields as one run, lengths and texts checked, nothing built.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::emit::{Form, condition, inner_type, is_nullable};
use super::layout;
use super::schema::{Field, Message, OPEN, Struct, Type};

/// The `Listed` of `s` in the form that lists hold: its view where it borrows, else the owned struct.
pub fn listed(out: &mut String, message: &Message, s: &Struct) -> Result<()> {
    let borrows = layout::borrows(message, &Type::Struct(s.name.clone()))?;
    let name = if borrows { format!("{}View<'a>", s.name) } else { s.name.clone() };
    writeln!(out, "impl<'a> Listed<'a> for {name} {{")?;
    if let Some(size) = layout::fixed(message, s)? {
        writeln!(out, "const FIXED_BYTES: Option<usize> = Some({size});")?;
    }
    writeln!(out, "#[inline(always)] fn skip(s: &mut Skip<'a>) -> bool {{ let v = s.version();")?;
    let untagged: Vec<&Field> = s.fields.iter().filter(|f| f.tag.is_none()).collect();
    let mut run = Vec::new();
    for f in untagged {
        let condition = condition(f.versions, message.versions, "v");
        if let Some(size) = width(&f.ty) {
            run.push((size, condition));
            continue;
        }
        fixed(out, &mut run)?;
        let and = condition.map_or(String::new(), |c| format!("{c} && "));
        writeln!(out, "if {and}!({}) {{ return false; }}", value(message, f)?)?;
    }
    fixed(out, &mut run)?;
    tags(out, message, s)?;
    writeln!(out, "}}\n}}\n")?;
    Ok(())
}

fn width(ty: &Type) -> Option<usize> {
    Some(match ty {
        Type::Bool | Type::I8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I32 | Type::U32 => 4,
        Type::I64 | Type::F64 => 8,
        Type::Uuid => 16,
        _ => return None,
    })
}

/// One bounds check for fields of known sizes that follow each other.
fn fixed(out: &mut String, run: &mut Vec<(usize, Option<String>)>) -> Result<()> {
    let always: usize = run.iter().filter(|(_, c)| c.is_none()).map(|(size, _)| size).sum();
    let mut sum: Vec<String> = (always > 0).then(|| always.to_string()).into_iter().collect();
    for (size, condition) in run.drain(..) {
        if let Some(condition) = condition {
            sum.push(format!("if {condition} {{ {size} }} else {{ 0 }}"));
        }
    }
    match &sum[..] {
        [] => {}
        [one] => writeln!(out, "if !s.bytes({one}) {{ return false; }}")?,
        more => writeln!(out, "if !s.bytes(({})) {{ return false; }}", more.join(") + ("))?,
    }
    Ok(())
}

/// An expression that passes over the field and tells whether it could.
fn value(message: &Message, f: &Field) -> Result<String> {
    let nullable = if !is_nullable(f) {
        "false".to_owned()
    } else {
        condition(f.nullable, f.versions, "v").unwrap_or_else(|| "true".to_owned())
    };
    Ok(match &f.ty {
        Type::Str if f.inflexible => format!("s.text_inflexible({nullable})"),
        Type::Str => format!("s.text({nullable})"),
        Type::Bytes | Type::Records => format!("s.blob({nullable})"),
        Type::Array(element) => {
            format!("s.list::<{}>({nullable})", inner_type(message, element, Form::View)?)
        }
        Type::Struct(_) => {
            let name = inner_type(message, &f.ty, Form::View)?;
            let skip = format!("<{name} as Listed<'a>>::skip(s)");
            if !is_nullable(f) {
                skip
            } else {
                let tagged = f.tag.is_some();
                format!(
                    "match s.present({tagged}) {{ Some(true) => {skip}, Some(false) => true, None => false }}"
                )
            }
        }
        fixed => match width(fixed) {
            Some(size) => format!("s.bytes({size})"),
            None => bail!("{}: {fixed:?} has no width", f.name),
        },
    })
}

fn tags(out: &mut String, message: &Message, s: &Struct) -> Result<()> {
    if message.flexible.min == OPEN {
        writeln!(out, "true")?;
        return Ok(());
    }
    let tagged: Vec<&Field> = s.fields.iter().filter(|f| f.tag.is_some()).collect();
    if tagged.is_empty() {
        writeln!(out, "s.tags()")?;
        return Ok(());
    }
    let flexible = message.versions.clip(message.flexible);
    writeln!(out, "if !s.flexible() {{ return true; }}")?;
    writeln!(out, "let Some(tags) = s.uvarint() else {{ return false }};")?;
    writeln!(
        out,
        "for _ in 0..tags {{ let Some((tag, left)) = s.tag() else {{ return false }}; match tag {{"
    )?;
    for f in &tagged {
        let here = condition(f.versions, flexible, "v").map_or(String::new(), |c| format!("if {c}"));
        let tag = f.tag.unwrap_or_default();
        writeln!(out, "{tag} {here} => if !({} && s.at_end(left)) {{ return false; }},", value(message, f)?)?;
    }
    writeln!(out, "_ => s.to_end(left), }} }} true")?;
    Ok(())
}
