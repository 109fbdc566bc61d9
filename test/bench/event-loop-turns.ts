/** Looks once in a millisecond how long the event loop was kept from turning, while something goes on. */
export async function longestTurn<Result>(work: Promise<Result>) {
  let [wallMs, cpuMs] = [0, 0];
  let [wall, cpu] = [performance.now(), cpuOfThread()];
  const look = (): void => {
    const [wallNow, cpuNow] = [performance.now(), cpuOfThread()];
    wallMs = Math.max(wallMs, wallNow - wall);
    cpuMs = Math.max(cpuMs, cpuNow - cpu);
    [wall, cpu] = [wallNow, cpuNow];
  };
  const timer = setInterval(look, 1);
  const result = await work;
  look();
  clearInterval(timer);
  return { result, wallMs, cpuMs };
}

function cpuOfThread(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** How long the machine itself, with what else runs on it, keeps a thread that does nothing from its turn. */
export async function idleTurnMs(): Promise<number> {
  const { wallMs } = await longestTurn(new Promise((resolve) => setTimeout(resolve, 2_000)));
  return wallMs;
}
