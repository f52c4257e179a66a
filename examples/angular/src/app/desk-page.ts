import { CurrencyPipe } from '@angular/common';
import {
  afterNextRender,
  ApplicationRef,
  booleanAttribute,
  Component,
  computed,
  inject,
  input,
} from '@angular/core';
import { RouterLink } from '@angular/router';
import { ORDERS } from '../api/shop';
import { OrderDesk, reasonOf, type DeskState } from './order-desk';

const words: Record<DeskState, string> = {
  idle: 'Ready',
  running: 'Running',
  stopping: 'Stopping: finishing what is inside',
  stopped: 'Stopped',
  done: 'Done',
  failed: 'Failed',
};

@Component({
  selector: 'app-desk-page',
  imports: [CurrencyPipe, RouterLink],
  providers: [OrderDesk],
  templateUrl: './desk-page.html',
  styleUrl: './desk-page.css',
})
export class DeskPage {
  readonly desk = inject(OrderDesk);
  /** `/?start`: starts by itself. */
  readonly start = input(false, { transform: booleanAttribute });

  readonly total = ORDERS;
  readonly reasonOf = reasonOf;
  readonly words = computed(() => words[this.desk.state()]);
  readonly canStart = computed(() => !['running', 'stopping'].includes(this.desk.state()));
  readonly share = computed(() => (this.desk.orders().length / this.total) * 100);

  readonly queued = computed(() => this.#held('boundedQueue'));
  readonly inFlight = computed(() => this.desk.jobs().filter((job) => job && !job.waits).length);
  readonly retried = computed(() => this.desk.stats()?.retried ?? 0);
  readonly perSecond = computed(() => this.desk.stats()?.itemsPerSecond ?? 0);

  constructor() {
    const app = inject(ApplicationRef);
    // In the browser only, and when the page has settled: a request in flight keeps the server from sending the page,
    // and the browser from finishing hydration.
    afterNextRender(async () => {
      await app.whenStable();
      if (this.start()) this.desk.start();
    });
  }

  #held(operator: string): number {
    const stages = this.desk.stats()?.stages ?? [];
    return stages.filter((stage) => stage.operator === operator).reduce((sum, { held }) => sum + held, 0);
  }
}
