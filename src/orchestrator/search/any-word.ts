// A phrase, with the minus before it, or one word.
const TERM = /-?"[^"]*"|\S+/g;

/** A query in the syntax of web search engines, with "or" between its terms. One that excludes something stays as it is. */
export function anyWord(query: string): string {
  const terms = query.match(TERM) ?? [];
  if (terms.some((term) => term.startsWith('-'))) return query;
  return terms.filter((term) => term.toLowerCase() !== 'or').join(' or ');
}
