import fc from '../../support/properties.ts';
import { expect, test } from 'vitest';
import { isStorable, restoredJson, storableJson } from '../../../src/orchestrator/wire/unstorable-text.ts';

function roundTrip(text: string): string {
  const { json, escaped } = storableJson({ text, suspicious: true }, 'content', true);
  expect(isStorable(json.text)).toBe(true);
  // What PostgreSQL does to a text: it reads the escapes.
  const stored = JSON.stringify(JSON.parse(json.text));
  return restoredJson(stored, escaped).text;
}

test('any string survives the escape, also NUL, half pairs and the escape mark', () => {
  const units = fc.array(
    fc.constantFrom('\0', '\ud83d', '\ude00', '\ue000', 'a', '\\', '"', 'u0000', ':NaN'),
  );
  fc.assert(
    fc.property(units, fc.string({ unit: 'binary' }), (list, free) => {
      const value = { [`k${list.join('')}`]: list.join(''), free };
      expect(JSON.parse(roundTrip(JSON.stringify(value)))).toEqual(value);
    }),
  );
});

test('NaN is restored without quotes, and strings that look like it stay strings', () => {
  const text = '{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN","d":"\\u0000"}';
  expect(roundTrip(text)).toBe(text);
});

test('storable text is never changed', () => {
  const text = '{"a":"\ue0000000 \\\\u0000 \\ud83d\\ude00"}';
  expect(storableJson({ text, suspicious: true }, 'content', true)).toMatchObject({
    escaped: false,
    json: { text },
  });
});
