import { expect, test } from 'vitest';
import fc from '../../support/properties.ts';
import { encodeFrame, type Frame, FrameReader } from '../../../src/frontends/zmq/zmtp.ts';

const LIMIT_BYTES = 1_000;

const frame = fc.record({
  body: fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
  hasMore: fc.boolean(),
  isCommand: fc.boolean(),
});

function flagsOf({ hasMore, isCommand }: Frame): number {
  return (hasMore ? 1 : 0) | (isCommand ? 4 : 0);
}

test('frames are found in any chunks, at any point of reading', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 700 })),
      fc.boolean(),
      (frames, cuts, isEager) => {
        const reader = new FrameReader({ limitBytes: LIMIT_BYTES });
        const found: Frame[] = [];
        const look = (): void => {
          for (let next = reader.next(); next !== undefined; next = reader.next()) found.push(next);
        };
        let bytes = Buffer.concat(frames.map((each) => encodeFrame(each.body, flagsOf(each))));
        for (const length of [...cuts, bytes.length]) {
          reader.push(bytes.subarray(0, length));
          bytes = bytes.subarray(length);
          if (isEager) look();
        }
        look();
        expect(found).toEqual(frames);
      },
    ),
  );
});

test('a frame with a length above the limit is refused at once', () => {
  const reader = new FrameReader({ limitBytes: LIMIT_BYTES });
  reader.push(encodeFrame(Buffer.alloc(LIMIT_BYTES + 1), 0).subarray(0, 9));
  expect(() => reader.next()).toThrow('a frame of 1001 bytes');
});

test('bytes before the first frame are read by count', () => {
  const reader = new FrameReader({ limitBytes: LIMIT_BYTES });
  reader.push(Buffer.from('abc'));
  expect(reader.take(4)).toBeUndefined();
  reader.push(Buffer.from('d\u0000\u0001x'));
  expect(reader.take(4)?.toString()).toBe('abcd');
  expect(reader.next()?.body.toString()).toBe('x');
});
