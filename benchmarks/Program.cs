using BenchmarkDotNet.Running;
using Diffusion.Gpu.Benchmarks;

if (args is ["roofline", .. var options])
    return Conv2DRoofline.Run(options);
BenchmarkSwitcher.FromAssembly(typeof(Conv2DRoofline).Assembly).Run(args);
return 0;
