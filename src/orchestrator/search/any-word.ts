// A phrase, with the minus before it, or one word.
const TERM = /-?"[^"]*"|\S+/g;

/** A query in web search syntax, with "or" between its terms. A query with exclusions stays unchanged. */
export function anyWord(query: string): string {
  const terms = query.match(TERM) ?? [];
  if (terms.some((term) => term.startsWith('-'))) return query;
  return terms.filter((term) => term.toLowerCase() !== 'or').join(' or ');
}
