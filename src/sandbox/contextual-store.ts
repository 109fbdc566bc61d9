import type { JsonStoreFile } from './json-store-file.ts';
import { type Clock, epochSeconds } from './python-time.ts';
import {
  asDict,
  asNumber,
  codePointLength,
  codePointPrefix,
  isTruthy,
  PythonDict,
  PythonError,
  PythonFloat,
  type PythonMap,
  type PythonValue,
  typeName,
} from './python-values.ts';
import { pythonRepr } from './python-text.ts';

const DEFAULT_MAX_TOKENS = 2000;
const CUT_ON_READ = ['code_context', 'conversation_summary'];

interface ContextualStoreParts {
  readonly file: Pick<JsonStoreFile, 'load' | 'save'>;
  readonly maxEntries: number;
  readonly clock: Clock;
}

interface NewInteraction {
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

const SHOWN_QUERIES = 3;
const QUERY_LENGTH = 100;
const ERROR_LENGTH = 200;

const TOPICS = [
  {
    inCode: ['database'],
    section: '\nDatabase Operations:\n- SQL queries and database interactions present\n',
    pattern: /database|sql|sqlite/,
    domain: 'database operations',
  },
  {
    inCode: ['web', 'http'],
    section: '\nWeb Functionality:\n- HTTP endpoints and web routes present\n',
    pattern: /web|http|flask|api|route/,
    domain: 'web functionality',
  },
  {
    inCode: ['concurrency', 'thread'],
    section: '\nConcurrency Features:\n- Threading and async operations present\n',
    pattern: /concurrency|thread|async/,
    domain: 'concurrency features',
  },
] as const;

interface SummaryInput {
  /** Newest first, including the one above the limit. */
  readonly interactions: readonly PythonValue[];
  readonly decisions: PythonValue;
  readonly now: PythonFloat;
}

/** The summary of a session. @throws PythonError if the original fails and keeps its previous summary */
function summarizeSession({ interactions, decisions, now }: SummaryInput): PythonMap {
  const summary: PythonMap = new Map([['last_updated', now]]);
  const code = contentsOf(interactions, 'code');
  if (code.length > 0) summary.set('code_context', summarizeCode(code));
  const queries = contentsOf(interactions, 'user_query');
  const responses = contentsOf(interactions, 'system_response');
  if (queries.length + responses.length > 0)
    summary.set('conversation_summary', summarizeConversation(queries, responses.length));
  summary.set('errors_encountered', keyErrors(contentsOf(interactions, 'error')));
  summary.set('key_decisions', decisions);
  return summary;
}

function contentsOf(interactions: readonly PythonValue[], type: string): PythonValue[] {
  return interactions.flatMap((interaction) => {
    if (!(interaction instanceof Map)) throw new PythonError(`'${typeName(interaction)}' is no interaction`);
    if (interaction.get('type') !== type) return [];
    const content = interaction.get('content');
    if (content === undefined) throw new PythonError("'content'");
    return [content];
  });
}

function summarizeCode(snippets: readonly PythonValue[]): string {
  if (!snippets.every((snippet) => typeof snippet === 'string'))
    throw new PythonError('sequence item: expected str instance');
  const code = snippets.join('\n\n');
  const lowered = code.toLowerCase();
  let text = `Code Summary:\nTotal snippets: ${snippets.length}\nTotal lines: ${countLines(code)}\n`;
  for (const { inCode, section } of TOPICS)
    if (inCode.some((word) => lowered.includes(word))) text += section;
  const searched = `${lowered}\n\n${text.toLowerCase()}`;
  const domains = TOPICS.filter(({ pattern }) => pattern.test(searched)).map(({ domain }) => domain);
  return domains.length > 0
    ? `${text}\nDETECTED DOMAINS: ${domains.join(', ')}\n`
    : `${text}\nNo specific domains detected\n`;
}

/** `len(text.splitlines())`: more line ends than JavaScript knows, and the last one starts no further line. */
function countLines(text: string): number {
  if (text === '') return 0;
  // eslint-disable-next-line no-control-regex
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/);
  return lines.at(-1) === '' ? lines.length - 1 : lines.length;
}

function summarizeConversation(queries: readonly PythonValue[], responses: number): string {
  let text = `Conversation Summary:\nTotal queries: ${queries.length}\nTotal responses: ${responses}\n`;
  if (queries.length === 0) return text;
  text += '\nRecent Queries:\n';
  for (const query of queries.slice(0, SHOWN_QUERIES)) {
    const shown = firstOfQuery(query);
    if (shown === undefined) return 'Error summarizing conversation';
    text += `- ${shown}...\n`;
  }
  return text;
}

/** `query[:100]` as an f-string prints it. Lists can be cut too. Anything other than text or a list cannot. */
function firstOfQuery(query: PythonValue): string | undefined {
  if (typeof query === 'string') return codePointPrefix(query, QUERY_LENGTH);
  return Array.isArray(query) ? pythonRepr(query.slice(0, QUERY_LENGTH)) : undefined;
}

/** A single error that is not text makes the original keep none. */
function keyErrors(errors: readonly PythonValue[]): PythonValue[] {
  if (!errors.every((error) => typeof error === 'string')) return [];
  return errors
    .filter((error) => /error|exception/.test(error.toLowerCase()))
    .map((error) => codePointPrefix(error, ERROR_LENGTH));
}
