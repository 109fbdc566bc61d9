import { expect, test } from 'vitest';
import fc from '../../support/properties.ts';
import { canonicalJson, encodeJson, Json } from '../../../src/domain/json.ts';
import { digestedContent, digestedText } from '../../../src/domain/content-digest.ts';

const chosen = { fields: ['text', 'metadata', '__proto__'], without: ['metadata.at', 'metadata', 'text.x'] };

const GONE = new Map([
  ['metadata', 'at'],
  ['text', 'x'],
]);

/** What is chosen of a content, told by the values alone. */
function expected(content: object): string {
  const members = Object.entries(content).filter(([name]) => chosen.fields.includes(name));
  const pruned = members.map(([name, value]: [string, unknown]) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    const gone = GONE.get(name);
    const kept = isObject ? Object.entries(value).filter(([member]) => member !== gone) : [];
    return [name, isObject ? Object.fromEntries(kept) : value];
  });
  return canonicalJson(JSON.stringify(Object.fromEntries(pruned)));
}

const value = fc.jsonValue({ maxDepth: 3 });
const object = fc.dictionary(fc.constantFrom('at', 'x', 'b', 'a', '10', '9', '__proto__'), value);
const contents = fc.dictionary(
  fc.constantFrom('text', 'metadata', 'other', '__proto__'),
  fc.oneof(value, object),
);

test('a content is digested by its values, with and without numbers', () => {
  fc.assert(
    fc.property(contents, (content) => {
      expect(digestedText(JSON.stringify(content), chosen)).toBe(expected(content));
    }),
    { numRuns: 2_000 },
  );
});

/** The same content with some of its members as raw text, spelled in another way, and with what is left out. */
function halfSpelled(content: object): object {
  const members = Object.entries(content).map(([name, member]: [string, unknown], index) => [
    name,
    index % 2 === 0 ? new Json(JSON.stringify(member, null, 1)) : member,
  ]);
  return { ...Object.fromEntries(members), nothing: undefined };
}

test('a content gets the same digest before and after it is serialised', () => {
  fc.assert(
    fc.property(contents, (content) => {
      const half = halfSpelled(content);
      const digested = { ...chosen, fields: [...chosen.fields, 'nothing'] };
      expect(digestedContent(half, digested)).toBe(digestedText(encodeJson(half), digested));
    }),
    { numRuns: 500 },
  );
  const odd = { text: new Json('NaN'), metadata: { at: 1, on: new Date(0), list: [undefined, 0.1] } };
  expect(digestedContent(odd, chosen)).toBe(digestedText(encodeJson(odd), chosen));
  expect(digestedContent(new Json('{"text":"x","n":1}'), chosen)).toBe('{"text":"x"}');
});

test.each([
  ['{"text":1000.00000000000000000001}', '{"text":1.00000000000000000000001e3}'],
  ['{"text":12345678901234567891}', '{"text":12345678901234567892}'],
  ['{"text":[0.1]}', '{"text":[0.10000000000000001]}'],
  ['{"text":NaN}', '{"text":null}'],
])('%s and %s differ if their digits differ', (one, other) => {
  const isEqual = canonicalJson(one) === canonicalJson(other);
  expect(digestedText(one, chosen) === digestedText(other, chosen)).toBe(isEqual);
});

test('spelling makes no difference', () => {
  const spelled = '{ "metadata" : {"b":1e3, "a":"\\u0061"} , "text":"x" }';
  expect(digestedText(spelled, chosen)).toBe('{"metadata":{"a":"a","b":1e3},"text":"x"}');
  expect(digestedText('{"text":"x","metadata":{"a":"a"}}', chosen)).toBe('{"metadata":{"a":"a"},"text":"x"}');
  expect(digestedText('{"text":"\\ud800","text":"last"}', chosen)).toBe('{"text":"last"}');
});
