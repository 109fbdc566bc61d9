import { pythonRepr } from './python-text.ts';
import { PythonError, codePointPrefix, typeName } from './python-values.ts';
import type { PythonFloat, PythonMap, PythonValue } from './python-values.ts';

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

export interface SummaryInput {
  /** Newest first, including the one above the limit. */
  readonly interactions: readonly PythonValue[];
  readonly decisions: PythonValue;
  readonly now: PythonFloat;
}

/** The summary of a session. @throws PythonError if the original fails and keeps its previous summary */
export function summarizeSession({ interactions, decisions, now }: SummaryInput): PythonMap {
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
