BlinearJ{
>5Tø=[>