from eventfold.cli import main

main()
