import { rawElements } from '../../domain/json.ts';
import { pythonRepr, sliceCodePoints } from '../python-spelling.ts';

/** The number of entries in a summary: those that are kept, and the one whose arrival removes the oldest. */
export const SUMMARIZED_ENTRIES = 51;

/** The part of an entry that a summary uses. */
export interface SummarizedEntry {
  readonly type: unknown;
  /** The text, or the raw JSON of a value that is not text. */
  readonly content: string;
  readonly isText: boolean;
}

export interface Summary {
  readonly codeContext: string | undefined;
  readonly conversationSummary: string | undefined;
  readonly errorsEncountered: readonly string[];
}

interface Domain {
  /** Words in the code that add a section. */
  readonly words: readonly string[];
  readonly section: string;
  /** Words in the code or the sections that add it to the domains. */
  readonly pattern: RegExp;
  readonly name: string;
}

const DOMAINS: readonly Domain[] = [
  {
    words: ['database'],
    section: '\nDatabase Operations:\n- SQL queries and database interactions present\n',
    pattern: /database|sql|sqlite/,
    name: 'database operations',
  },
  {
    words: ['web', 'http'],
    section: '\nWeb Functionality:\n- HTTP endpoints and web routes present\n',
    pattern: /web|http|flask|api|route/,
    name: 'web functionality',
  },
  {
    words: ['concurrency', 'thread'],
    section: '\nConcurrency Features:\n- Threading and async operations present\n',
    pattern: /concurrency|thread|async/,
    name: 'concurrency features',
  },
];

const SHOWN_QUERIES = 3;
const QUERY_LENGTH = 100;
const ERROR_LENGTH = 200;

/**
 * The summary that the service makes of these entries, newest first. Undefined if it fails and keeps the previous one. Only code
 * that is not text causes that. Other contents that are not text only spoil their own part.
 */
export function summarize(entries: readonly SummarizedEntry[]): Summary | undefined {
  const code = entries.filter(({ type }) => type === 'code');
  if (!code.every(({ isText }) => isText)) return undefined;
  const queries = entries.filter(({ type }) => type === 'user_query');
  const responses = entries.filter(({ type }) => type === 'system_response').length;
  return {
    codeContext: code.length === 0 ? undefined : summarizeCode(code.map(({ content }) => content)),
    conversationSummary:
      queries.length + responses === 0 ? undefined : summarizeConversation(queries, responses),
    errorsEncountered: keyErrors(entries.filter(({ type }) => type === 'error')),
  };
}

function summarizeCode(snippets: readonly string[]): string {
  const code = snippets.join('\n\n');
  const lowered = code.toLowerCase();
  const sections = DOMAINS.filter(({ words }) => words.some((word) => lowered.includes(word)));
  const summary = [
    `Code Summary:\nTotal snippets: ${snippets.length}\nTotal lines: ${countLines(code)}\n`,
    ...sections.map(({ section }) => section),
  ].join('');
  const searched = `${lowered}\n\n${summary.toLowerCase()}`;
  const names = DOMAINS.filter(({ pattern }) => pattern.test(searched)).map(({ name }) => name);
  const detected =
    names.length === 0 ? 'No specific domains detected' : `DETECTED DOMAINS: ${names.join(', ')}`;
  return `${summary}\n${detected}\n`;
}

// Python's splitlines knows more line ends than JavaScript.
const LINE_END = new RegExp(String.raw`\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]`);

/** A line end at the end of the text starts no further line. */
function countLines(text: string): number {
  const lines = text.split(LINE_END);
  return lines.at(-1) === '' ? lines.length - 1 : lines.length;
}

function summarizeConversation(queries: readonly SummarizedEntry[], responses: number): string {
  const totals = `Conversation Summary:\nTotal queries: ${queries.length}\nTotal responses: ${responses}\n`;
  if (queries.length === 0) return totals;
  const shown = queries.slice(0, SHOWN_QUERIES).map((query) => cutQuery(query));
  if (shown.includes(undefined)) return 'Error summarizing conversation';
  return `${totals}\nRecent Queries:\n${shown.map((query) => `- ${query}...\n`).join('')}`;
}

/** Lists can be cut like text, and are printed as Python prints them. Nothing else can be cut. */
function cutQuery({ content, isText }: SummarizedEntry): string | undefined {
  if (isText) return sliceCodePoints(content, QUERY_LENGTH);
  if (!content.startsWith('[')) return undefined;
  return pythonRepr(`[${rawElements(content).slice(0, QUERY_LENGTH).join(',')}]`);
}

/** A single error that is not text makes the service keep no errors. */
function keyErrors(errors: readonly SummarizedEntry[]): readonly string[] {
  if (!errors.every(({ isText }) => isText)) return [];
  return errors
    .filter(({ content }) => /error|exception/.test(content.toLowerCase()))
    .map(({ content }) => sliceCodePoints(content, ERROR_LENGTH));
}

const DEFAULT_TOKENS = 2_000;
const CHARACTERS_PER_TOKEN = 4;

/** The effect of a request's `max_tokens` on each of the two texts of a summary. */
export type TokenCut =
  | { readonly kind: 'cut'; readonly end: number }
  /** A float can be compared, but cannot be an index, so the text is not cut. */
  | { readonly kind: 'whole' }
  /** For a value that is not a number the service answers as if there were no summary. */
  | { readonly kind: 'fails' };

export function tokenCutOf(raw: string | undefined): TokenCut {
  if (raw === undefined || raw === 'null') return cutAt(DEFAULT_TOKENS);
  if (raw === 'true' || raw === 'false') return cutAt(raw === 'true' ? 1 : 0);
  if (/^-?\d+$/.test(raw)) return cutAt(Number(raw));
  return /^(?:-?\d|-?Infinity|NaN)/.test(raw) ? { kind: 'whole' } : { kind: 'fails' };
}

/** Half of the budget for each of the two texts. */
function cutAt(tokens: number): TokenCut {
  return { kind: 'cut', end: Math.floor(tokens / 2) * CHARACTERS_PER_TOKEN };
}

export function cutText(text: string, cut: TokenCut): string {
  if (cut.kind !== 'cut') return text;
  // A text has no more code points than units.
  if (text.length <= cut.end) return text;
  const head = sliceCodePoints(text, cut.end);
  return cut.end >= 0 && head.length === text.length ? text : `${head}...`;
}
