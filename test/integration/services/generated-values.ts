/** Values that differ in each run, by their path in a reply, and the form that they have in the originals. */
export type Generated = Readonly<Record<string, RegExp>>;

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]|[^\s,:[\]{}"]+/g;

/** A list or an object around the present token. */
interface Place {
  readonly isList: boolean;
  key: string;
  /** Whether the next token is a key. */
  isKey: boolean;
}

/** What a token that is no value does to the places. */
const STEPS: Readonly<Record<string, (places: Place[]) => void>> = {
  '{': (places) => places.push({ isList: false, key: '', isKey: true }),
  '[': (places) => places.push({ isList: true, key: '', isKey: false }),
  '}': (places) => places.pop(),
  ']': (places) => places.pop(),
  ':': (places) => expectKey(places, false),
  ',': (places) => expectKey(places, true),
};

function expectKey(places: readonly Place[], isExpected: boolean): void {
  const place = places.at(-1);
  if (place !== undefined) place.isKey = isExpected && !place.isList;
}

/** A reply in which every generated value of the right form is replaced by its path. Every other byte stays. */
export function withoutGenerated(text: string, generated: Generated): string {
  const places: Place[] = [];
  return text.replaceAll(TOKEN, (token) => {
    const step = STEPS[token];
    const place = places.at(-1);
    if (step !== undefined) step(places);
    else if (place?.isKey === true) place.key = JSON.parse(token) as string;
    else if (generated[pathOf(places)]?.test(token) === true) return `<${pathOf(places)}>`;
    return token;
  });
}

function pathOf(places: readonly Place[]): string {
  return places
    .map(({ isList, key }) => (isList ? '[]' : `.${key}`))
    .join('')
    .slice(1);
}
