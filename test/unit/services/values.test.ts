import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import fc from '../../support/properties.ts';
import { createNaiveLocalTime } from '../../../src/sandbox/python-time.ts';
import { codePointLength, codePointPrefix } from '../../../src/sandbox/python-values.ts';
import { countCodePoints, sliceCodePoints } from '../../../src/services/python-spelling.ts';
import { epochTimeOf, epochTimestampOf, instantOf, localTimeOf } from '../../../src/services/local-time.ts';
import { tagsOf, unwrapMetadata, wrapMetadata } from '../../../src/services/stored-items.ts';
import { boundText } from '../../../src/services/session-memory/interaction.ts';
import { encodeJson } from '../../../src/domain/json.ts';

const ZONES = ['UTC', 'America/New_York', 'Asia/Manila', 'Asia/Kathmandu', 'Australia/Lord_Howe'];

describe('naive local times', () => {
  test('have the text that the service would write', () => {
    expect(localTimeOf('2026-11-21T02:11:40.573Z', 'Asia/Manila')).toBe('2026-11-21T10:11:40.573000');
    expect(localTimeOf('2026-11-21T02:11:40.000Z', 'America/New_York')).toBe('2026-11-20T21:11:40');
  });

  test('agree with the stand-in’s, and convert back to their instant', () => {
    const instant = fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) });
    fc.assert(
      fc.property(instant, fc.constantFrom(...ZONES), (ms, zone) => {
        const local = localTimeOf(new Date(ms).toISOString(), zone);
        expect(local).toBe(createNaiveLocalTime(zone)(ms));
        expect(instantOf(local, zone, ms)).toBe(new Date(ms).toISOString());
      }),
      { numRuns: 500 },
    );
  });

  test('the repeated hour continues in order', () => {
    const zone = 'America/New_York';
    expect(instantOf('2026-11-01T01:30:00', zone)).toBe('2026-11-01T05:30:00.000Z');
    expect(instantOf('2026-11-01T01:10:00', zone, Date.parse('2026-11-01T05:30:00Z'))).toBe(
      '2026-11-01T06:10:00.000Z',
    );
    expect(instantOf('2026-11-01T01:10:00', zone, Date.parse('2026-11-01T09:00:00Z'))).toBe(
      '2026-11-01T06:10:00.000Z',
    );
  });

  test('an unreadable time does not stop anything', () => {
    expect(instantOf('yesterday', 'UTC', 1_000)).toBe('1970-01-01T00:00:01.000Z');
  });
});

test('epoch times keep the service’s spelling if a copy kept it', () => {
  const createdAt = '2026-11-21T01:57:15.500Z';
  expect(epochTimeOf('1795226235.5')).toEqual({ timestamp: '1795226235.5', at: createdAt });
  for (const [none, timestamp] of [['"no time"'], ['null'], ['NaN'], [undefined, '0']])
    expect(epochTimeOf(none)).toEqual({
      timestamp: timestamp ?? none,
      at: '1970-01-01T00:00:00.000Z',
      isTimeUnknown: true,
    });
  expect(epochTimestampOf({ createdAt, legacyTimestamp: '1795226191.0797758' })).toBe('1795226191.0797758');
  expect(epochTimestampOf({ createdAt, legacyTimestamp: '}' })).toBe('1795226235.5');
});

describe('a TEXT column', () => {
  // As Python 3.11 and SQLite 3.40 store them.
  test.each([
    ['0.1', '0.1'],
    ['0.30000000000000004', '0.3'],
    ['0.3333333333333333', '0.333333333333333'],
    ['1e22', '1.0e+22'],
    ['1e15', '1.0e+15'],
    ['1000.0', '1000.0'],
    ['1e-05', '1.0e-05'],
    ['1795226191.0797758', '1795226191.07978'],
    ['5e-324', '4.94065645841247e-324'],
    ['1.7976931348623157e308', '1.79769313486232e+308'],
    ['123456789012345.6', '123456789012346.0'],
    ['9223372036854775807', '9223372036854775807'],
    ['9223372036854775808', undefined],
    ['"x"', 'x'],
    ['true', '1'],
    ['null', null],
    ['NaN', null],
    ['Infinity', 'Inf'],
    ['[]', undefined],
    ['{}', undefined],
  ])('holds of %s: %s', (raw, stored) => {
    expect(boundText(raw)).toBe(stored);
  });

  test('holds what SQLite makes of short numbers', () => {
    const database = new DatabaseSync(':memory:');
    database.exec('create table t (value text)');
    const insert = database.prepare('insert into t values (?) returning value');
    const digits = fc.integer({ min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(digits, fc.integer({ min: 0, max: 3 }), (whole, places) => {
        const value = whole / 10 ** places;
        const raw = Number.isInteger(value) ? `${value}.0` : String(value);
        expect(boundText(raw)).toBe(insert.get(value)?.['value']);
      }),
      { numRuns: 500 },
    );
  });
});

test('code points are counted and cut as Python does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: -20, max: 20 }), (text, end) => {
      expect(countCodePoints(text)).toBe(codePointLength(text));
      expect(sliceCodePoints(text, end)).toBe(codePointPrefix(text, end));
    }),
  );
});

describe('metadata', () => {
  test('of any kind is returned unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.option(fc.string(), { nil: undefined }), (value, timestamp) => {
        const raw = JSON.stringify(value);
        const back = unwrapMetadata(encodeJson(wrapMetadata(raw, timestamp)));
        expect(back === undefined ? {} : JSON.parse(back)).toEqual(JSON.parse(raw));
      }),
    );
  });

  test('may use names that Crossfade uses', () => {
    const raw = '{"legacy_timestamp":"mine","legacy_value":1}';
    expect(unwrapMetadata(encodeJson(wrapMetadata(raw, '2026-11-21')))).toBe(raw);
  });
});

test('tags fit, can be stored, and cannot equal Crossfade’s marks', () => {
  expect(
    tagsOf(['own'], ['own', 'forgotten', '', 5, 'a\u0000b', `${'x'.repeat(63)}😀`, 'entry'], ['entry']),
  ).toEqual(['own', 'x'.repeat(63)]);
});
