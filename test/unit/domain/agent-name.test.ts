import { expect, test } from 'vitest';
import { agentName, printableName } from '../../../src/domain/agent-name.ts';

const text = (given: string): Buffer => Buffer.from(given);

test.each([
  [{ header: 'planner', identity: text('zmq-1'), address: '10.0.0.1' }, 'planner'],
  [{ header: '', identity: text('zmq-1'), address: '10.0.0.1' }, 'zmq-1'],
  [{ identity: Buffer.alloc(0), address: '10.0.0.1' }, '10.0.0.1'],
  [{ address: '::ffff:10.0.0.1' }, '10.0.0.1'],
  [{ address: '2001:db8::7' }, '2001:db8::7'],
  [{}, 'unknown'],
  [{ header: ' \u202e\u0000 ', address: '10.0.0.1' }, '\ufffd\ufffd'],
])('an agent known by %o is called %s', (facts, name) => {
  expect(agentName(facts)).toBe(name);
});

test('an identity that is not text is shown as hexadecimal digits', () => {
  expect(agentName({ identity: Buffer.from([0, 0x6b, 0x8b]) })).toBe('0x006b8b');
  expect(agentName({ identity: Buffer.from([0xff, 0xfe]) })).toBe('0xfffe');
});

test('a name has at most 128 characters', () => {
  expect(printableName('x'.repeat(1_000_000))).toHaveLength(128);
  expect(Array.from(printableName('🙂'.repeat(500)))).toHaveLength(128);
  expect(agentName({ identity: Buffer.alloc(255, 0xff) })).toHaveLength(128);
});

test('a name cannot move a cursor, change text direction or end a line', () => {
  const hostile = '\u001b[2J\u009b31m\u202eevil\u2066\u200b\r\n\u2028\ud800';
  expect(printableName(hostile)).toBe('\ufffd[2J\ufffd31m\ufffdevil\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd');
});
