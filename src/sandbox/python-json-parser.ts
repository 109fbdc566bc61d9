import { PythonError, PythonFloat } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NUMBER = /(-?(?:0|[1-9]\d*))(\.\d+)?([eE][-+]?\d+)?/y;
const WORD = /null|true|false|NaN|-?Infinity/y;
// eslint-disable-next-line no-control-regex
const STRING_STOP = /["\\\u0000-\u001f]/g;
const HEX4 = /^[0-9a-fA-F]{4}$/;

const WORDS: ReadonlyMap<string, PythonValue> = new Map<string, PythonValue>([
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', new PythonFloat(Number.NaN)],
  ['Infinity', new PythonFloat(Number.POSITIVE_INFINITY)],
  ['-Infinity', new PythonFloat(Number.NEGATIVE_INFINITY)],
]);

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

// Python's recursion limit of 1,000, minus the frames of the service loop and of the json module.
const DEPTH_LIMIT = 990;
// sys.get_int_max_str_digits().
const INTEGER_DIGITS_LIMIT = 4300;

/** `json.loads` of text. @throws PythonError with the original's message and position */
export function parsePythonJson(text: string): PythonValue {
  if (text.charCodeAt(0) === 0xfeff) throw faultAt(text, 'Unexpected UTF-8 BOM (decode using utf-8-sig)', 0);
  return new Parser(text).document();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): PythonValue {
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#fault('Extra data');
    return value;
  }

  #value(): PythonValue {
    const code = this.#text.charCodeAt(this.#at);
    if (code === QUOTE) return this.#string();
    if (code === OPEN_OBJECT) return this.#nested('object', () => this.#object());
    if (code === OPEN_ARRAY) return this.#nested('array', () => this.#array());
    const word = this.#word();
    return word === undefined ? this.#number() : word;
  }

  #nested<Value>(kind: 'object' | 'array', read: () => Value): Value {
    this.#depth += 1;
    if (this.#depth > DEPTH_LIMIT)
      throw new PythonError(
        `maximum recursion depth exceeded while decoding a JSON ${kind} from a unicode string`,
      );
    this.#at += 1;
    this.#skipSpace();
    const value = read();
    this.#at += 1;
    this.#depth -= 1;
    return value;
  }

  #object(): PythonMap {
    const members: PythonMap = new Map();
    while (this.#code() !== CLOSE_OBJECT) {
      if (this.#code() !== QUOTE) throw this.#fault('Expecting property name enclosed in double quotes');
      const key = this.#string();
      this.#skipSpace();
      if (this.#code() !== COLON) throw this.#fault("Expecting ':' delimiter");
      this.#at += 1;
      this.#skipSpace();
      members.set(key, this.#value());
      if (!this.#comma(CLOSE_OBJECT)) break;
      if (this.#code() === CLOSE_OBJECT)
        throw this.#fault('Expecting property name enclosed in double quotes');
    }
    return members;
  }

  #array(): PythonValue[] {
    const elements: PythonValue[] = [];
    while (this.#code() !== CLOSE_ARRAY) {
      elements.push(this.#value());
      if (!this.#comma(CLOSE_ARRAY)) break;
      if (this.#code() === CLOSE_ARRAY) throw this.#fault('Expecting value');
    }
    return elements;
  }

  /** Whether another member follows. Leaves the position on it, or on the closing bracket. */
  #comma(closing: number): boolean {
    this.#skipSpace();
    if (this.#code() === closing) return false;
    if (this.#code() !== COMMA) throw this.#fault("Expecting ',' delimiter");
    this.#at += 1;
    this.#skipSpace();
    return true;
  }

  #string(): string {
    const opening = this.#at;
    let result = '';
    let from = opening + 1;
    for (;;) {
      STRING_STOP.lastIndex = from;
      const stop = STRING_STOP.exec(this.#text)?.index;
      if (stop === undefined) throw this.#fault('Unterminated string starting at', opening);
      result += this.#text.slice(from, stop);
      const code = this.#text.charCodeAt(stop);
      if (code === QUOTE) {
        this.#at = stop + 1;
        return result;
      }
      if (code !== BACKSLASH) throw this.#fault('Invalid control character at', stop);
      result += this.#escape(stop, opening);
      from = this.#at;
    }
  }

  /** The character of the escape at `backslash`. Leaves the position after it. */
  #escape(backslash: number, opening: number): string {
    const letter = this.#text[backslash + 1];
    if (letter === undefined) throw this.#fault('Unterminated string starting at', opening);
    if (letter !== 'u') {
      const character = ESCAPES.get(letter);
      if (character === undefined) throw this.#fault('Invalid \\escape', backslash);
      this.#at = backslash + 2;
      return character;
    }
    const digits = this.#text.slice(backslash + 2, backslash + 6);
    // The text must continue after the four digits, or Python refuses them.
    if (!HEX4.test(digits) || this.#text.length <= backslash + 6)
      throw this.#fault('Invalid \\uXXXX escape', backslash + 1);
    this.#at = backslash + 6;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #word(): PythonValue | undefined {
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0];
    if (word === undefined) return undefined;
    this.#at += word.length;
    return WORDS.get(word);
  }

  #number(): PythonValue {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw this.#fault('Expecting value');
    const [whole, integer = '', fraction, exponent] = match;
    this.#at += whole.length;
    if (fraction !== undefined || exponent !== undefined) return new PythonFloat(Number(whole));
    return parseInteger(integer);
  }

  #code(): number {
    return this.#text.charCodeAt(this.#at);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #fault(message: string, at = this.#at): PythonError {
    return faultAt(this.#text, message, at);
  }
}

function parseInteger(text: string): number | bigint {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  const digits = text.startsWith('-') ? text.length - 1 : text.length;
  if (digits > INTEGER_DIGITS_LIMIT)
    throw new PythonError(
      `Exceeds the limit (${INTEGER_DIGITS_LIMIT} digits) for integer string conversion: value has ${digits} digits; use sys.set_int_max_str_digits() to increase the limit`,
    );
  return BigInt(text);
}

/** Python counts positions in code points, lines from 1, columns from 1. */
function faultAt(text: string, message: string, at: number): PythonError {
  const before = text.slice(0, at);
  const lines = before.split('\n');
  const column = Array.from(lines.at(-1) ?? '').length + 1;
  return new PythonError(
    `${message}: line ${lines.length} column ${column} (char ${Array.from(before).length})`,
  );
}
