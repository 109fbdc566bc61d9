import { expect, test } from 'vitest';
import { createSignalHub } from '../../../src/engine/signals.ts';
import { NO_SIGNALS } from './engine-parts.ts';

test('a signal without a receiver is an error at the start', () => {
  const { connect, assertConnected } = createSignalHub();
  const { recover, ...others } = NO_SIGNALS;
  connect(others);
  expect(assertConnected).toThrow('The signal "recover" has no receiver');
  connect({ recover });
  expect(assertConnected).not.toThrow();
});

test('a signal has one receiver', () => {
  const { connect } = createSignalHub();
  connect(NO_SIGNALS);
  expect(() => connect({ beatNow: () => undefined })).toThrow('The signal "beatNow" has two receivers');
});

test('a signal returns what its receiver returns', async () => {
  const { signals, connect } = createSignalHub();
  connect({ replicasChanged: async (what) => what === 'gone' });
  expect(await signals.replicasChanged('gone')).toBe(true);
  expect(await signals.replicasChanged('expelled')).toBe(false);
});
