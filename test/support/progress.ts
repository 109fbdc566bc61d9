/** A line that shows how far a long command has come: on a terminal only, so that logs stay readable. */
export interface ProgressBar {
  show(done: number, note?: string): void;
  end(): void;
}

const WIDTH = 30;

export function createProgressBar(total: number, stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { show: () => undefined, end: () => undefined };
  let lastMs = 0;
  return {
    show(done, note = '') {
      const now = performance.now();
      if (now - lastMs < 100 && done < total) return;
      lastMs = now;
      const filled = Math.round((WIDTH * done) / Math.max(1, total));
      const bar = '█'.repeat(filled).padEnd(WIDTH, '░');
      stream.write(`\r\u001b[K${bar} ${done}/${total} ${note}`);
    },
    end() {
      stream.write('\r\u001b[K');
    },
  };
}

/** The same without a measure: what is being waited for, and for how long already. */
export async function whileWaiting<Result>(
  what: () => string,
  work: Promise<Result>,
  stream: NodeJS.WriteStream = process.stderr,
): Promise<Result> {
  if (!stream.isTTY) return work;
  const startedAtMs = performance.now();
  const show = (): void => {
    const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
    stream.write(`\r\u001b[K${what()} (${seconds} s)`);
  };
  show();
  const timer = setInterval(show, 250);
  return work.finally(() => {
    clearInterval(timer);
    stream.write('\r\u001b[K');
  });
}
