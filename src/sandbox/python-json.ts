import { decodeUtf8, assertEncodable } from './python-utf8.ts';
import { parsePythonJson } from './python-json-parser.ts';
import { PythonError, PythonFloat, formatFloat } from './python-values.ts';
import type { PythonScalar, PythonValue } from './python-values.ts';

export interface DumpStyle {
  /** Escapes everything except ASCII, as in replies. Store files are written with `false`. @defaultValue true */
  readonly ensureAscii?: boolean;
  /** Spaces per level. Absent: everything is on one line. */
  readonly indent?: number;
}

/** `json.loads` of one received frame. @throws PythonError with the original's message */
export function loadPythonJson(bytes: Buffer): PythonValue {
  return parsePythonJson(decodeUtf8(bytes));
}

/** `json.dumps`: Python's separators, escapes, numbers and key order. */
export function dumpPythonJson(value: PythonValue, style: DumpStyle = {}): string {
  let text = '';
  new Dumper(style, (chunk) => {
    text += chunk;
  }).write(value, 0);
  return text;
}

/**
 * `json.dump` into a file: the text that reaches the file, and the exception if UTF-8 cannot represent a piece of it. The piece
 * with the lone surrogate and everything after it is missing then, because the pieces are written one by one.
 */
export function dumpPythonJsonFile(value: PythonValue): {
  readonly text: string;
  readonly error?: PythonError;
} {
  const style = { ensureAscii: false, indent: 2 };
  const whole = dumpPythonJson(value, style);
  if (whole.isWellFormed()) return { text: whole };
  let text = '';
  try {
    new Dumper(style, (chunk) => {
      assertEncodable(chunk);
      text += chunk;
    }).write(value, 0);
  } catch (error) {
    if (error instanceof PythonError) return { text, error };
    throw error;
  }
  return { text };
}

class Dumper {
  readonly #ensureAscii: boolean;
  readonly #indent: number | undefined;
  readonly #emit: (chunk: string) => void;

  constructor({ ensureAscii = true, indent }: DumpStyle, emit: (chunk: string) => void) {
    this.#ensureAscii = ensureAscii;
    this.#indent = indent;
    this.#emit = emit;
  }

  /** Emits the same pieces as the original's encoder, because a failure cuts the file between two pieces. */
  write(value: PythonValue, level: number): void {
    if (Array.isArray(value)) this.#list(value, level);
    else if (isScalar(value)) this.#emit(this.#scalar(value));
    else this.#dict(value, level);
  }

  #list(values: readonly PythonValue[], level: number): void {
    if (values.length === 0) return this.#emit('[]');
    let lead = `[${this.#newline(level + 1)}`;
    for (const value of values) {
      if (isScalar(value)) this.#emit(lead + this.#scalar(value));
      else {
        this.#emit(lead);
        this.write(value, level + 1);
      }
      lead = this.#separator(level + 1);
    }
    this.#emit(this.#newline(level));
    this.#emit(']');
  }

  #dict(entries: Iterable<[string, PythonValue]> & { readonly size: number }, level: number): void {
    if (entries.size === 0) return this.#emit('{}');
    let lead = `{${this.#newline(level + 1)}`;
    for (const [key, value] of entries) {
      this.#emit(lead);
      this.#emit(this.#string(key));
      this.#emit(': ');
      this.write(value, level + 1);
      lead = this.#separator(level + 1);
    }
    this.#emit(this.#newline(level));
    this.#emit('}');
  }

  #scalar(value: PythonScalar): string {
    if (typeof value === 'string') return this.#string(value);
    return value instanceof PythonFloat ? formatFloat(value.value) : String(value);
  }

  #string(text: string): string {
    if (this.#ensureAscii) return JSON.stringify(text).replaceAll(/[\x7f-\uffff]/g, escapeUnit);
    return text.isWellFormed() ? JSON.stringify(text) : stringifyRaw(text);
  }

  #newline(level: number): string {
    return this.#indent === undefined ? '' : `\n${' '.repeat(this.#indent * level)}`;
  }

  #separator(level: number): string {
    return this.#indent === undefined ? ', ' : `,${this.#newline(level)}`;
  }
}

function isScalar(value: PythonValue): value is PythonScalar {
  return typeof value !== 'object' || value === null || value instanceof PythonFloat;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** JSON.stringify would escape lone surrogates. Python passes them on, and the file refuses them. */
function stringifyRaw(text: string): string {
  const inside = text
    .split(/([\ud800-\udfff]+)/)
    .map((part, index) => (index % 2 === 1 ? part : JSON.stringify(part).slice(1, -1)));
  return `"${inside.join('')}"`;
}
