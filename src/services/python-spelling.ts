/**
 * JSON as Python's json module writes it: `", "` and `": "` as separators, ASCII only, floats with a point or an exponent.
 * Agents, their parsers and their logs see these bytes.
 */

/** How the scalars of a JSON text are written. */
interface Spelling {
  text(value: string): string;
  float(value: number): string;
  word(token: string): string;
}

// A string, a number, a separator, spaces, or a bare word.
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[,:]|\s+|-?Infinity|NaN|true|false|null/g;
const PLAIN = /^[ !#-[\]-~]*$/;
const INTEGER = /^-?\d+$/;
const BEYOND_ASCII = /[\u007f-\uffff]/g;

/** A string as `json.dumps` writes it. */
export function spellText(value: string): string {
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value).replaceAll(BEYOND_ASCII, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A float as `json.dumps` writes it: shortest digits, with an exponent below 1e-4 and from 1e16. */
export function spellFloat(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return digits + spellExponent(exponent);
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/** An exponent as C, Python and SQLite write it: a sign and at least two digits. */
export function spellExponent(exponent: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

const JSON_SPELLING: Spelling = { text: spellText, float: spellFloat, word: (token) => token };

/** JSON text as Python writes it after reading it. The text must be valid JSON (NaN and Infinity are allowed). */
export function respell(raw: string): string {
  return spell(raw, JSON_SPELLING);
}

function spell(raw: string, spelling: Spelling): string {
  return withoutRepeatedKeys(raw).replaceAll(TOKEN, (token) => spellToken(token, spelling));
}

function spellToken(token: string, spelling: Spelling): string {
  const first = token.charCodeAt(0);
  if (first === 0x22) return spellString(token, spelling);
  if (first <= 0x20) return '';
  if (token === ',' || token === ':') return `${token} `;
  if (INTEGER.test(token)) return token === '-0' ? '0' : token;
  return first <= 0x39 && !token.endsWith('y') ? spelling.float(Number(token)) : spelling.word(token);
}

function spellString(token: string, spelling: Spelling): string {
  return spelling.text(token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1));
}

const PYTHON_WORDS: Readonly<Record<string, string>> = {
  null: 'None',
  true: 'True',
  false: 'False',
  NaN: 'nan',
  Infinity: 'inf',
  '-Infinity': '-inf',
};

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
};

// Characters that str.isprintable() rejects: control, format, private and unassigned characters, and separators except the space.
const UNPRINTABLE = /[\\\p{C}]|(?! )\p{Z}/gu;

const REPR_SPELLING: Spelling = {
  text: reprText,
  float: (value) => PYTHON_WORDS[String(value)] ?? spellFloat(value),
  word: (token) => PYTHON_WORDS[token] ?? token,
};

/** The result of `repr` for the value of a JSON text, as an f-string prints it. */
export function pythonRepr(raw: string): string {
  return spell(raw, REPR_SPELLING);
}

function reprText(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replaceAll(UNPRINTABLE, escapePoint);
  return quote + (quote === "'" ? escaped.replaceAll("'", String.raw`\'`) : escaped) + quote;
}

function escapePoint(point: string): string {
  const named = NAMED_ESCAPES[point];
  if (named !== undefined) return named;
  const hex = (point.codePointAt(0) ?? 0).toString(16);
  if (hex.length <= 2) return `\\x${hex.padStart(2, '0')}`;
  return hex.length <= 4 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

const FALSY = /^(?:null|false|""|\[\s*\]|\{\s*\})$/;

/** The result of `not value` in Python. An absent member counts as None. */
export function isFalsy(raw: string | undefined): boolean {
  // Also a number too small for a float, such as 1e-400.
  return raw === undefined || FALSY.test(raw) || Number(raw) === 0;
}

// A string with the colon that makes it a key, or a bracket.
const KEY_OR_BRACKET = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{}]/g;
const LEXEME = /"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,:[\]{}"]+|[[\]{}:,]/g;

/**
 * JSON text with each key once per object, as Python keeps it: at the first one's place, with the last one's value. A text
 * without repetitions is returned unchanged.
 */
function withoutRepeatedKeys(raw: string): string {
  return repeatsKey(raw) ? new Rewriter(raw).value() : raw;
}

function repeatsKey(raw: string): boolean {
  if (!raw.includes('{')) return false;
  const seen: Set<string>[] = [];
  for (const [token, colon] of raw.matchAll(KEY_OR_BRACKET)) {
    if (colon !== undefined) {
      const keys = seen.at(-1);
      const key = textOfKey(token.slice(0, token.length - colon.length));
      if (keys?.has(key) === true) return true;
      keys?.add(key);
    } else if (!token.startsWith('"')) {
      if (isOpening(token)) seen.push(new Set());
      else seen.pop();
    }
  }
  return false;
}

function isOpening(bracket: string): boolean {
  return bracket === '{' || bracket === '[';
}

function textOfKey(token: string): string {
  return token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
}

/** Writes a text again, value by value. */
class Rewriter {
  readonly #lexemes: readonly string[];
  #at = 0;

  constructor(raw: string) {
    this.#lexemes = raw.match(LEXEME) ?? [];
  }

  value(): string {
    const lexeme = this.#next();
    if (lexeme === '{') return this.#object();
    return lexeme === '[' ? this.#list() : lexeme;
  }

  #object(): string {
    const members = new Map<string, string>();
    while (!this.#ends('}')) {
      const key = textOfKey(this.#next());
      this.#next();
      members.set(key, this.value());
    }
    return `{${[...members].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
  }

  #list(): string {
    const elements: string[] = [];
    while (!this.#ends(']')) elements.push(this.value());
    return `[${elements.join(',')}]`;
  }

  /** Whether the bracket or the text ends here. Skips it, and a comma. */
  #ends(bracket: string): boolean {
    const lexeme = this.#lexemes[this.#at] ?? bracket;
    if (lexeme === ',' || lexeme === bracket) this.#at += 1;
    return lexeme === bracket;
  }

  #next(): string {
    const lexeme = this.#lexemes[this.#at] ?? '';
    this.#at += 1;
    return lexeme;
  }
}

/** Python counts and cuts strings by code point, JavaScript by UTF-16 unit. They differ only where there are surrogates. */
const SURROGATE = /[\ud800-\udfff]/;
const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;

/** `len(text)` in Python. */
export function countCodePoints(text: string): number {
  return SURROGATE.test(text) ? text.length - (text.match(PAIRS)?.length ?? 0) : text.length;
}

/** `text[:end]` in Python; a negative end counts from the back. */
export function sliceCodePoints(text: string, end: number): string {
  if (!SURROGATE.test(text)) return text.slice(0, end);
  // Each code point has at most two units, so a long text is split no further than needed.
  const head = end >= 0 ? text.slice(0, 2 * end) : text;
  return Array.from(head).slice(0, end).join('');
}
