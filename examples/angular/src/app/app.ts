import { Component } from '@angular/core';
import { RouterLink, RouterOutlet } from '@angular/router';

@Component({
  selector: 'app-root',
  imports: [RouterLink, RouterOutlet],
  template: `
    <header>
      <a routerLink="/">Order desk</a>
      <span>sluice in Angular</span>
    </header>
    <main><router-outlet /></main>
  `,
})
export class App {}
