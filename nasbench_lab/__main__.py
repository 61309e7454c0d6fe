"""`python -m nasbench_lab`: the command line."""

from nasbench_lab.cli.app import main

if __name__ == "__main__":
    main()
