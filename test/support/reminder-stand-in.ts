import { writeFileSync } from 'node:fs';
import { createSerialServer, type SerialServer } from '../../src/sandbox/serial-server.ts';

interface Reminder {
  readonly timestamp: number;
  readonly reminder: unknown;
}

interface Request {
  readonly action?: string;
  readonly user_id?: string;
  readonly reminder?: unknown;
  readonly index?: unknown;
}

/** The service of config/examples/reminder-service.ts: lists by user, without ids, in a JSON file. */
export interface ReminderStandIn extends Pick<SerialServer, 'start' | 'stop' | 'setFaults'> {
  of(user: string): readonly unknown[];
}

export function createReminders(port: number, file: string): ReminderStandIn {
  const lists = new Map<string, Reminder[]>();
  const answer = ({ action, user_id: user = 'default_user', reminder, index: place }: Request): object => {
    const index = typeof place === 'number' ? place : -1;
    const list = lists.get(user) ?? [];
    lists.set(user, list);
    if (action === 'list_reminders') return { status: 'ok', reminders: list };
    if (action === 'add_reminder') list.push({ timestamp: Date.now() / 1_000, reminder });
    else if (action !== 'delete_reminder') return { status: 'error', reason: 'Unknown action' };
    else if (list[index] === undefined) return { status: 'error', reason: 'Invalid index' };
    else list.splice(index, 1);
    writeFileSync(file, JSON.stringify(Object.fromEntries(lists)));
    return { status: 'ok' };
  };
  const server = createSerialServer({
    host: '127.0.0.1',
    port,
    handle: (frame) => JSON.stringify(answer(JSON.parse(frame.toString()) as Request)),
    severalFrames: 'die',
  });
  return {
    start: () => server.start(),
    stop: () => server.stop(),
    setFaults: (faults) => server.setFaults(faults),
    of: (user) => (lists.get(user) ?? []).map(({ reminder }) => reminder),
  };
}
