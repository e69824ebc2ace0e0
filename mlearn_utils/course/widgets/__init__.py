"""What a student works with in the page: explorers, predictions, quizzes, canvases, panels."""
