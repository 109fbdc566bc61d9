import fc from '../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { dumpPythonJson } from '../../../src/sandbox/python-json.ts';
import { parsePythonJson } from '../../../src/sandbox/python-json-parser.ts';
import { pythonRepr as standInRepr } from '../../../src/sandbox/python-text.ts';
import { isTruthy } from '../../../src/sandbox/python-values.ts';
import {
  isFalsy,
  pythonRepr,
  respell,
  spellFloat,
  spellText,
} from '../../../src/services/python-spelling.ts';

describe('JSON in Python’s spelling', () => {
  test.each([
    ['{"a":NaN , "b":[ -Infinity,Infinity]}', '{"a": NaN, "b": [-Infinity, Infinity]}'],
    ['{"a":1e3,"b":2.50,"c":1.0,"d":-0,"e":-0.0}', '{"a": 1000.0, "b": 2.5, "c": 1.0, "d": 0, "e": -0.0}'],
    ['[1e16,1e15,1e-5,0.0001,1E400]', '[1e+16, 1000000000000000.0, 1e-05, 0.0001, Infinity]'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    [
      '"\\u00f1 😀 \\u0000 \\"q\\" / <\u2028> \u007f"',
      '"\\u00f1 \\ud83d\\ude00 \\u0000 \\"q\\" / <\\u2028> \\u007f"',
    ],
    ['{"b":1, "10":[{"x":1,"x":{}}], "2":0, "\\u0062":2.50}', '{"b": 2.5, "10": [{"x": {}}], "2": 0}'],
    ['{"NaN, null: 1.50":"true,1.50"}', '{"NaN, null: 1.50": "true,1.50"}'],
    ['{}', '{}'],
    [' [ ] ', '[]'],
  ])('%s', (text, expected) => {
    expect(respell(text)).toBe(expected);
  });

  test.each(['0', '-0.0', '0e5', '1e-400', '-1e-400', '1e-320', '1e400', 'NaN', '" "', '"0"', '[ ]', '[[]]'])(
    'knows as the stand-in whether %s is true',
    (text) => {
      expect(isFalsy(text)).toBe(!isTruthy(parsePythonJson(text)));
    },
  );

  test('agrees with the stand-in’s json module on any JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t'), (json, space) => {
        const text = JSON.stringify(JSON.parse(json), null, space);
        const value = parsePythonJson(text);
        expect(respell(text)).toBe(dumpPythonJson(value));
        expect(pythonRepr(text)).toBe(standInRepr(value));
        expect(isFalsy(text)).toBe(!isTruthy(value));
      }),
      { numRuns: 300 },
    );
  });

  test('agrees with it on keys in any order, including repeated ones', () => {
    const key = fc.constantFrom('a', 'b', '10', '2', 'é', '__proto__', '"{');
    const { object } = fc.letrec<{ object: string; value: string }>((tie) => ({
      value: fc.oneof(fc.constantFrom('1e16', '-0.0', '"a:{"', '[]', '{}'), tie('object')),
      object: fc
        .array(fc.tuple(key, tie('value')), { maxLength: 4 })
        .map(
          (members) => `{${members.map(([name, text]) => `${JSON.stringify(name)}: [${text}]`).join(', ')}}`,
        ),
    }));
    fc.assert(
      fc.property(object, (text) => {
        const value = parsePythonJson(text);
        expect(respell(text)).toBe(dumpPythonJson(value));
        expect(pythonRepr(text)).toBe(standInRepr(value));
      }),
      { numRuns: 300 },
    );
  });

  test('any float survives', () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (value) => Number(spellFloat(value)) === value));
    expect(spellFloat(1_795_226_191.0797758)).toBe('1795226191.0797758');
  });

  test('any text survives, in ASCII', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(JSON.parse(spellText(value))).toBe(value);
        expect(spellText(value)).toMatch(/^[ -~]*$/);
      }),
    );
  });

  test('long strings are fast', () => {
    const text = JSON.stringify(`${'\\"x'.repeat(300_000)}ñ`);
    expect(JSON.parse(respell(text))).toBe(JSON.parse(text));
  });
});
