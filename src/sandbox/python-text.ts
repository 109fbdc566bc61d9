import { PythonFloat, formatFloat } from './python-values.ts';
import type { PythonValue } from './python-values.ts';

/** `str(value)`, as an f-string prints it. */
export function pythonStr(value: PythonValue): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

/** `repr(value)`. */
export function pythonRepr(value: PythonValue): string {
  if (typeof value === 'string') return reprText(value);
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value !== 'object') return String(value);
  if (value instanceof PythonFloat) return reprFloat(value.value);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  const members = Array.from(value, ([key, member]) => `${reprText(key)}: ${pythonRepr(member)}`);
  return `{${members.join(', ')}}`;
}

function reprFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return formatFloat(value);
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\\', '\\\\'],
]);
// Characters that str.isprintable() rejects: control, format, unassigned, surrogate, private use, and separators except the
// space.
const ESCAPED = /[\\\p{C}]|(?! )\p{Z}/gu;

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replaceAll(ESCAPED, escapePoint);
  return quote + (quote === "'" ? body.replaceAll("'", "\\'") : body) + quote;
}

function escapePoint(point: string): string {
  const named = NAMED.get(point);
  if (named !== undefined) return named;
  const code = point.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
