import type { LaneKey, ServiceName } from '../domain/ids.ts';
import type { Lane } from './lane/lane.ts';
import type { ServiceRuntime } from './ports/service-runtime.ts';
import type { ReplayedLane } from './ports/spill-ports.ts';

/**
 * Calls from one part of the engine to another that is created after it. The sender gets them in its constructor. `createEngine`
 * connects each of them to its one receiver, directly after the receiver is created. A signal is a plain call: it returns what the
 * receiver returns, and throws what it throws.
 */
export interface Signals {
  /**
   * The journal may not know yet what this replica did to the lane, or a crash of the database may lose it. Sent after an
   * abandoned intent (OutcomeRecorder), after a recorded delivery position (Deliverer), and after a lane was released or its recovery
   * failed (TakeOver). Received by UnconfirmedLanes.
   */
  readonly note: (lane: LaneKey) => void;
  /**
   * The lane must be copied although no request is under way on the primary. Sent if a delivery was altered on the secondary, or
   * if the item that a write named is not on the secondary (Deliverer). Received by Settler.
   */
  readonly copyAnew: (lane: Lane, reason: 'delivery_altered' | 'unnamed_items') => void;
  /**
   * The secondary knows of a copy of the lane that this replica does not know. Sent after a delivery that was superseded
   * (Deliverer). Received by TakeOver. @throws StorageError
   */
  readonly overtaken: (lane: Lane) => Promise<void>;
  /**
   * Another replica is the lane's home, so the work is left to that replica. Sent when a copy cannot begin (LaneCopier). Received
   * by TakeOver. @throws StorageError
   */
  readonly letGo: (lane: Lane) => Promise<void>;
  /**
   * Another replica has been busy with the lane for longer than a write takes. Sent each second while a lane cannot be held
   * (`createHoldLane`). Received by TakeOver. The sequencer calls TakeOver itself.
   */
  readonly busy: (lane: LaneKey) => void;
  /**
   * Others have given this replica up, or one of them has gone, so that its work must be taken over. Sent after a heartbeat
   * (Membership). Received by TakeOver. Resolves with whether the work was taken over. If it is sent again meanwhile, it resolves
   * after that as well.
   */
  readonly replicasChanged: (what: 'expelled' | 'gone') => Promise<boolean>;
  /**
   * Resolves when a request that was sent to the service at this time has taken effect, if it ever does. Sent before legacy is
   * read to settle a reverse send (ReverseSender). Received by Settler.
   */
  readonly taken: (service: ServiceRuntime, sentAtMs: number) => Promise<void>;
  /** Whether the service must not be written to now. Sent at the moment of a reverse send (ReverseSender). Received by Settler. */
  readonly isShut: (service: ServiceName) => boolean;
  /**
   * A heartbeat is due now instead of with the next second. Sent when a write finds that the journal failed or is slow (Outage).
   * Received by CoverageKeeper.
   */
  readonly beatNow: () => void;
  /**
   * The journal has the lane's spilled writes, and the lane is dirty, so its home must copy it. Sent after each replayed page
   * (Replay). Received by TakeOver.
   */
  readonly spilled: (lane: LaneKey, replayed: ReplayedLane) => void;
  /**
   * All lanes that are dirty in the journal must be continued, because it is unknown which lanes a failed replay reached. Sent at
   * the end of the next replay (Replay). Received by TakeOver. @throws StorageError
   */
  readonly recover: () => Promise<void>;
}

export interface SignalHub {
  /** For the senders. A signal that is sent before its receiver is connected throws. */
  readonly signals: Signals;
  /** @throws Error if one of the signals has a receiver already */
  readonly connect: (receivers: Partial<Signals>) => void;
  /** @throws Error if a signal has no receiver */
  readonly assertConnected: () => void;
}

export function createSignalHub(): SignalHub {
  const receivers: Partial<Signals> = {};
  const to = <Name extends keyof Signals>(name: Name): Signals[Name] => {
    const receiver = receivers[name];
    if (receiver === undefined) throw new Error(`The signal "${name}" has no receiver`);
    return receiver;
  };
  const signals: Signals = {
    note: (lane) => to('note')(lane),
    copyAnew: (lane, reason) => to('copyAnew')(lane, reason),
    overtaken: (lane) => to('overtaken')(lane),
    letGo: (lane) => to('letGo')(lane),
    busy: (lane) => to('busy')(lane),
    replicasChanged: (what) => to('replicasChanged')(what),
    taken: (service, sentAtMs) => to('taken')(service, sentAtMs),
    isShut: (service) => to('isShut')(service),
    beatNow: () => to('beatNow')(),
    spilled: (lane, replayed) => to('spilled')(lane, replayed),
    recover: () => to('recover')(),
  };
  const names = Object.keys(signals) as (keyof Signals)[];
  return {
    signals,
    connect(added) {
      const twice = names.find((name) => name in added && name in receivers);
      if (twice !== undefined) throw new Error(`The signal "${twice}" has two receivers`);
      Object.assign(receivers, added);
    },
    assertConnected() {
      for (const name of names) to(name);
    },
  };
}
