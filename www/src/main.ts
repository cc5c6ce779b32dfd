import './styles/page.css';
import './ui/loralet-app.js';
import { startApp } from './app/app.js';
import { keepFocus } from './ui/focus.js';

keepFocus();
void startApp();
