import { summarizeSession } from './contextual-summary.ts';
import type { JsonStoreFile } from './json-store-file.ts';
import { epochSeconds } from './python-time.ts';
import type { Clock } from './python-time.ts';
import { PythonDict, PythonError, PythonFloat, asDict, isTruthy } from './python-values.ts';
import { asNumber, codePointLength, codePointPrefix } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';

const DEFAULT_MAX_TOKENS = 2000;
const CUT_ON_READ = ['code_context', 'conversation_summary'];

export interface ContextualStoreParts {
  readonly file: JsonStoreFile;
  readonly maxEntries: number;
  readonly clock: Clock;
}

export interface NewInteraction {
  readonly type: PythonValue;
  readonly content: PythonValue;
  readonly metadata: PythonValue;
}

/** Sessions (newest interaction first) and their summaries. A session id may be any hashable value, including None. */
export class ContextualStore {
  readonly #parts: ContextualStoreParts;
  #sessions = new PythonDict<PythonValue>();
  #summaries = new PythonDict<PythonValue>();

  constructor(parts: ContextualStoreParts) {
    this.#parts = parts;
  }

  /** Reads the file. All its keys are strings, so items stored without a session id are found under "null" from now on. */
  load(): void {
    const stored = this.#parts.file.load();
    const part = (name: string): PythonDict<PythonValue> => {
      const dict = stored === undefined ? undefined : asDict(stored).get(name);
      return dict === undefined ? new PythonDict() : PythonDict.fromMap(asDict(dict));
    };
    this.#sessions = part('sessions');
    this.#summaries = part('summaries');
  }

  addInteraction(sessionId: PythonValue, { type, content, metadata }: NewInteraction): true {
    const stored = this.#sessions.get(sessionId);
    const interactions = Array.isArray(stored) ? stored : [];
    if (interactions !== stored) this.#sessions.set(sessionId, interactions);
    const interaction: PythonMap = new Map<string, PythonValue>([
      ['timestamp', epochSeconds(this.#parts.clock)],
      ['type', type],
      ['content', content],
    ]);
    if (isTruthy(metadata)) interaction.set('metadata', metadata);
    interactions.unshift(interaction);
    if (interactions.length > this.#parts.maxEntries) {
      this.#updateSummary(sessionId, interactions);
      interactions.length = this.#parts.maxEntries;
    }
    this.#save();
    return true;
  }

  recordDecision(sessionId: PythonValue, decision: PythonValue): boolean {
    return this.#orWhenRaised(false, () => {
      const stored = this.#summaries.get(sessionId);
      const summary: PythonMap = stored === undefined ? new Map() : asDict(stored);
      if (stored === undefined) this.#summaries.set(sessionId, summary);
      const kept = summary.get('key_decisions');
      const decisions = Array.isArray(kept) ? kept : [];
      if (decisions !== kept) summary.set('key_decisions', decisions);
      decisions.push(
        new Map([
          ['timestamp', epochSeconds(this.#parts.clock)],
          ['decision', decision],
        ]),
      );
      this.#save();
      return true;
    });
  }

  /** The summary itself, after its texts were cut in place, so a small `maxTokens` also affects later readers. */
  readSummary(sessionId: PythonValue, maxTokens: PythonValue): PythonValue {
    return this.#orWhenRaised(null, () => {
      const summary = this.#summaries.get(sessionId);
      if (!(summary instanceof Map)) return null;
      for (const name of CUT_ON_READ) {
        const text = summary.get(name);
        if (typeof text === 'string') summary.set(name, cutToTokens(text, maxTokens));
      }
      return summary;
    });
  }

  #updateSummary(sessionId: PythonValue, interactions: readonly PythonValue[]): void {
    this.#orWhenRaised(undefined, () => {
      const earlier = this.#summaries.get(sessionId);
      const decisions = earlier instanceof Map ? earlier.get('key_decisions') : undefined;
      const summary = summarizeSession({
        interactions,
        decisions: decisions ?? [],
        now: epochSeconds(this.#parts.clock),
      });
      // The original writes the file here and again after the cut to maxEntries. The second write contains everything.
      this.#summaries.set(sessionId, summary);
      return undefined;
    });
  }

  #save(): void {
    this.#parts.file.save(
      new Map([
        ['sessions', this.#sessions],
        ['summaries', this.#summaries],
      ]),
    );
  }

  #orWhenRaised<Result>(result: Result, attempt: () => Result): Result {
    try {
      return attempt();
    } catch (error) {
      if (error instanceof PythonError) return result;
      throw error;
    }
  }
}

/** `text[:max_tokens // 2 * 4] + "..."` when it is longer. @throws PythonError when `maxTokens` cannot be halved */
function cutToTokens(text: string, maxTokens: PythonValue): string {
  const tokens = asNumber(maxTokens ?? DEFAULT_MAX_TOKENS);
  if (tokens === undefined) throw new PythonError('unsupported operand type(s) for //');
  const characters = Math.floor(Number(tokens) / 2) * 4;
  if (!(codePointLength(text) > characters)) return text;
  // A float cannot be an index. The original ignores that error and does not cut the text.
  return maxTokens instanceof PythonFloat ? text : `${codePointPrefix(text, characters)}...`;
}
