// A string with the colon that makes it a key, or a bracket.
const KEY_OR_BRACKET = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[[\]{}]/g;
const LEXEME = /"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,:[\]{}"]+|[[\]{}:,]/g;

/**
 * JSON text with each key once per object, as Python keeps it: at the first one's place, with the last one's value. A text
 * without repetitions is returned unchanged.
 */
export function withoutRepeatedKeys(raw: string): string {
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
