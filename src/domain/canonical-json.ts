import { parseTolerantly, rawElements, rawMembers } from './json.ts';

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * One text per JSON value, whatever its spelling: sorted keys, no spaces, numbers by value. 1000.0, 1e3 and 1000 are one number.
 * Integers of any size keep every digit. NaN and Infinity stay.
 */
export function canonicalJson(text: string): string {
  const trimmed = text.trim();
  const first = trimmed[0];
  if (first === '{') {
    const members = Object.entries(rawMembers(trimmed)).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, raw]) => `${JSON.stringify(key)}:${canonicalJson(raw)}`).join(',')}}`;
  }
  if (first === '[')
    return `[${rawElements(trimmed)
      .map((raw) => canonicalJson(raw))
      .join(',')}]`;
  if (first === '"') return canonicalString(trimmed);
  return canonicalNumber(trimmed);
}

/** Most strings have only one spelling: no escape, and no lone surrogate that would need one. */
function canonicalString(token: string): string {
  return token.includes('\\') || !token.isWellFormed() ? JSON.stringify(parseTolerantly(token)) : token;
}

function canonicalNumber(token: string): string {
  const match = NUMBER.exec(token);
  if (match === null) return token;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return power === 0 ? `${sign}${significant}` : `${sign}${significant}e${power}`;
}
